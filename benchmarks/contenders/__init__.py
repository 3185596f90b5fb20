"""What raytrain is measured against: programs written by hand in the form of their own projects' documents."""
