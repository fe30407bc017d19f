"""Select the spans of each document that become speech, in written and in spoken form."""
