"""Speed, measured from outside: a scripted model, a load driver, and the platform as `make run` starts it."""
