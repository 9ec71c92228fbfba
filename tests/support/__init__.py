"""What the tools and the tests share.

A package that is not in the standard library is imported inside a function here: a tool imports
these modules before the virtual environment is made.
"""
