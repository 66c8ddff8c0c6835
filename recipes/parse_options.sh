# Sourced by recipes: "--name value" sets the shell variable "name" if the recipe has given it a default; hyphens in
# names are underscores. One whose default is false needs no value to be true. --help prints the comment at the head of the recipe.
while [ $# -gt 0 ]; do
  case "$1" in
    --help | -h) sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$0"; exit 0 ;;
    --*)
      option=${1#--}; option=${option//-/_}
      # "declare --" leaves out what the recipe has made readonly and what comes from the environment.
      [[ $option =~ ^[a-z_]+$ && $(declare -p "$option" 2>/dev/null) == "declare -- "* ]] ||
        { echo "$(basename "$0"): error: no option $1; --help lists them" >&2; exit 2; }
      if [ "${!option}" = false ] && { [ $# -eq 1 ] || [[ $2 == --* ]]; }; then set -- "$1" true "${@:2}"; fi
      [ $# -ge 2 ] || { echo "$(basename "$0"): error: $1 needs a value" >&2; exit 2; }
      printf -v "$option" '%s' "$2"; shift 2 ;;
    *) echo "$(basename "$0"): error: what is $1? options look like --stage 3" >&2; exit 2 ;;
  esac
done
unset option
