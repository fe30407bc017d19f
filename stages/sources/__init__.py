"""Look at what the sources of text and of conversations hold, so that DVC sees a change of them."""
