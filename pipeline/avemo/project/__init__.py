"""The workflow and what belongs to it, as the wheel carries them; links into a checkout's root."""
