"""Work that outlasts a click: started once, watched and cancelled from anywhere in the process."""
