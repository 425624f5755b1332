"""Models in, terminal out. Every label, colour and symbol lives here; nothing touches the disk."""
