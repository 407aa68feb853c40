"""The trained inspector: a detector, its working size and its threshold; how it is trained, evaluated and asked."""
