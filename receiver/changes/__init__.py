"""What was changed: deploys, flags, migrations, as others tell of them. `parse.py` lists who may, a file each."""
