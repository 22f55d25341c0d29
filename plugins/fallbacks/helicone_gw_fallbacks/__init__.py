"""Another target when one fails: lists of models, ``Helicone-Fallbacks``, chains by model and kind of error."""
