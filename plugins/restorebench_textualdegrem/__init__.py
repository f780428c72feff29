"""TextualDegRemoval: restoration networks that are guided by a second, clean image of the same scene."""
