"""What is made with a model that speaks: judged takes, performances of marked text, long jobs."""
