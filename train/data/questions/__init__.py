"""Questions written by reading code: what is asked about, how answers are checked and used.

`python -m train.data.questions --help` says the steps; `README.md` is the data's own sheet.
"""
