"""Delegates that work, crash and hang, compiled for the tests."""

from collections.abc import Callable
from pathlib import Path

from edge_classifier.engine.probe import check_delegate

EDGETPU = "edgetpu-custom-op"


WORKING = """
#include <stdint.h>
#include <stdlib.h>
/* TfLiteDelegate of tensorflow/lite/core/c/common.h */
struct delegate {
  void *data;
  int (*prepare)(void *context, struct delegate *self);
  int (*copy_from_buffer)(void *, struct delegate *, int, void *);
  int (*copy_to_buffer)(void *, struct delegate *, int, void *);
  void (*free_buffer)(void *, struct delegate *, int *);
  int64_t flags;
  void *opaque_builder;
};
static int leave_the_graph_alone(void *context, struct delegate *self) { return STATUS; }
struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                               void (*report)(const char *)) {
  struct delegate *made = calloc(1, sizeof *made);
  made->prepare = leave_the_graph_alone;
  return made;
}
void tflite_plugin_destroy_delegate(struct delegate *made) { free(made); }
"""


# It turns the weights over, so that what was surest is least sure.
_TURN_OVER = """
#include <string.h>
/* TfLiteContext and TfLiteTensor of the same header, as far as they are read */
struct tensor {
  int type;
  signed char *data;
  void *dims;
  float scale;
  int zero_point;
  int allocation_type;
  size_t bytes;
  void *allocation;
  const char *name;
  void *more[6];
};
struct context {
  size_t count;
  void *get_execution_plan;
  struct tensor *tensors;
};
static int turn_over(struct context *context, struct delegate *self) {
  for (size_t i = 0; i < context->count; i++) {
    struct tensor *one = context->tensors + i;
    if (!one->name || strcmp(one->name, "weights")) continue;
    signed char *turned = malloc(one->bytes);
    for (size_t k = 0; k < one->bytes; k++) turned[k] = -one->data[k];
    one->data = turned;
  }
  return 0;
}
"""
LYING = (
    WORKING.replace("STATUS", "0")
    .replace("struct delegate *tflite", f"{_TURN_OVER}struct delegate *tflite", 1)
    .replace("made->prepare = leave_the_graph_alone", "made->prepare = turn_over")
)


LINGER_S = 20


SOURCES = {
    "working": WORKING.replace("STATUS", "0"),
    "lying": LYING,
    "unwilling": WORKING.replace("STATUS", "1"),
    "crashing": """
#include <signal.h>
__attribute__((constructor)) static void begin(void) { raise(SIGSEGV); }
""",
    "aborting": """
#include <stdlib.h>
void *tflite_plugin_create_delegate(char **k, char **v, size_t n, void *r) { abort(); }
void tflite_plugin_destroy_delegate(void *d) {}
""",
    "hanging": """
#include <unistd.h>
__attribute__((constructor)) static void begin(void) { for (;;) pause(); }
""",
    "leaving": """
#include <unistd.h>
__attribute__((constructor)) static void begin(void) { _exit(0); }
""",
    "lingering": """
#include <unistd.h>
__attribute__((constructor)) static void begin(void) {
  if (fork() == 0) { close(0); close(1); close(2); sleep(LINGER_S); _exit(0); }
  _exit(0);
}
""".replace("LINGER_S", str(LINGER_S)),
    "plain": "int something_else(void) { return 1; }",
    "null": """
#include <stddef.h>
void *tflite_plugin_create_delegate(char **k, char **v, size_t n, void (*report)(const char *)) {
  report("no device found");
  return NULL;
}
void tflite_plugin_destroy_delegate(void *made) {}
""",
}


Library = Callable[[str], Path]


def quick_check(library: Path, model: Path) -> None:
    """The real trial; only what never ends is given little time to do so."""
    time_limit_s = 1.0 if "hanging" in library.name else 30.0
    check_delegate(library, model, time_limit_s=time_limit_s)
