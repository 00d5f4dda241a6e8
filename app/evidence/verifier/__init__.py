"""What goes into every packet: the program and the page that check it. Nothing of Harmline imports them."""
