"""One package a DVC stage (`python -m stages.NAME`); what they share stands in `stages.common`."""
