# So that `include charpipe.mk` works in any Makefile: make looks into PREFIX/include by itself for
# PREFIX=/usr and /usr/local, elsewhere with -I.
include $(dir $(lastword $(MAKEFILE_LIST)))../share/charpipe/charpipe.mk
