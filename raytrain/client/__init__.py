"""What a user does with runs: submit, find, watch, stop, resume, take over, plan and foresee. Light."""
