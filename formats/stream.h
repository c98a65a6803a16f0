/* stream.h: the container of token streams and shards: a readable header, then frames with CRCs,
 * then a frame that says that all is there. Normative description: stream.md.
 *
 * Nothing here knows which kinds there are, nor what a payload means. Errors begin with the input's name. */
#ifndef FORMATS_STREAM_H
#define FORMATS_STREAM_H

#include "base/error.h"
#include "base/input.h"
#include "base/output.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	STREAM_ALIGN = 64,
	STREAM_LINE_BYTES = 64,           /* the first line */
	STREAM_HEADER_MAX = 1 << 20,      /* of the whole header: 65,536 symbols take 0.9 MB */
	STREAM_HEAD_BYTES = 32,           /* of a frame's head */
	STREAM_FRAME_BYTES_MAX = 1 << 30, /* of a frame's payload */
};

#define STREAM_MAGIC "#charpipe " /* the first bytes */

/* What one kind of stream is. */
struct stream_format {
	const char *name;  /* in the first line: "tokens" */
	unsigned version;  /* that is written; those before it are read, too */
	const char *types; /* of its frames, four characters each: "TRN VAL TST " */
};

/* What the end frame says of the frames before it. */
struct stream_end {
	uint64_t frames, ids;
	uint32_t crc; /* of all payloads joined: the data's identity */
};

struct stream_frame {
	char type[5];    /* NUL-terminated */
	uint64_t bytes;  /* of the payload */
	uint64_t offset; /* of the payload in the (decompressed) stream */
	uint64_t sequence;
	uint32_t crc; /* of the payload */
};

/* Bytes that a frame with such a payload takes: head, payload, padding. */
uint64_t stream_frame_size(uint64_t payload_bytes);

/* --- writing ---------------------------------------------------------------------------------- */

struct stream_writer {
	struct output *out;    /* not owned */
	struct stream_end end; /* so far */
};

/* Writes the header: `yaml` are the keys in lines of their own, without "---", padding and "...". */
int stream_write_header(struct stream_writer *w, struct output *out,
	const struct stream_format *format, const char *yaml, size_t bytes, struct error *err);

/* Writes one frame: `type` four characters, `payload` of `bytes` bytes holding `ids` ids. */
int stream_write_frame(struct stream_writer *w, const char *type, const void *payload, size_t bytes,
	uint64_t ids, struct error *err);

/* Writes ENDS; the stream is complete when the output is committed. */
int stream_write_end(struct stream_writer *w, struct error *err);

/* --- reading ---------------------------------------------------------------------------------- */

struct stream_reader {
	struct input *in; /* not owned */
	const struct stream_format *format;
	unsigned version; /* that the file states */
	char *yaml; /* the header from "---" to "...", beginning with the file's line 2; owned */
	size_t yaml_bytes;
	struct stream_end end; /* so far, skipped frames included; ids: after the end */
	bool optional;         /* a lower-case frame was seen: only such or ENDS may follow */
	bool ended;            /* ENDS was seen */
};

/* Reads and checks the header of an input that begins as a stream of that name does (see
 * kind_expect()). Status 65 for what is damaged or of a newer version. */
int stream_read_header(struct stream_reader *r, struct input *in,
	const struct stream_format *format, struct error *err);

/* Reads the next frame into payload: 1, or 0 after ENDS was checked and the input ended, or -1
 * (65). A payload of more than `capacity` bytes is an error; so is an upper-case type that is none
 * of the format's. Lower-case frames are skipped after their CRC was checked. */
int stream_read_frame(struct stream_reader *r, struct stream_frame *frame, void *payload,
	size_t capacity, struct error *err);

/* Reads the end frame where it must be in a plain file, its last bytes, and nothing between. */
int stream_find_end(const struct input *in, struct stream_end *end, struct error *err);

void stream_reader_release(struct stream_reader *r);

/* The head of a frame as it stands in a file. */
void stream_make_head(const struct stream_frame *frame, unsigned char head[STREAM_HEAD_BYTES]);

/* Checks a frame of stream_frame_size(frame->bytes) bytes that was read again: a whole head with
 * the type, size and sequence number of `frame`, a payload that fits its CRC, zeros as padding. */
int stream_check_frame(
	const struct stream_frame *frame, const unsigned char *bytes, struct error *err);

#endif
