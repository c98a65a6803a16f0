"""write.py MODEL N: the same as write.c without a compiler, each character of all there are."""
import ctypes, sys
lib = ctypes.CDLL("libcharpipe.so.0")
lib.charpipe_model_open.restype = lib.charpipe_state_new.restype = ctypes.c_void_p
error = ctypes.create_string_buffer(516)  # struct charpipe_error: a status, then a text
text = ctypes.create_string_buffer(4 * int(sys.argv[2]) + 1)
model = lib.charpipe_model_open(sys.argv[1].encode(), 1, error)
state = lib.charpipe_state_new(ctypes.c_void_p(model), error) if model else None
if not state or lib.charpipe_state_sample(
        ctypes.c_void_p(state), None, ctypes.c_size_t(int(sys.argv[2])), text, None, error) < 0:
    sys.exit(error[4:].split(b"\0")[0].decode())
sys.stdout.write(text.value.decode())
