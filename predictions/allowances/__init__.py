"""What a workspace may use, as its people see and set it."""
