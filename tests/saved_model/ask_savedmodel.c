/* Asks a SavedModel through TensorFlow's C API, with no Python in the process: the loader, the runtime and
 * the graph rewrites are those of TensorFlow Serving.
 *
 * Usage: ask_savedmodel EXPORT_DIR < requests
 * A request is lines of text: "INPUT_OP OUTPUT_OP OUTPUT_INDEX RANK DIM... \n" and raw float32 values.
 * The answer is "ok COUNT\n" and COUNT raw float32 values, or "error CODE TEXT\n".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

static void release(void *data, size_t length, void *argument) { free(data); }

static void die(const char *step, TF_Status *status) {
  fprintf(stderr, "%s: %s\n", step, TF_Message(status));
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  if (TF_GetCode(status) != TF_OK) die("load", status);

  char input_name[256], output_name[256];
  int output_index, rank;
  while (scanf("%255s %255s %d %d", input_name, output_name, &output_index, &rank) == 4) {
    int64_t dims[8];
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
      long long dim;
      if (scanf("%lld", &dim) != 1) return 2;
      dims[i] = dim;
      count *= dim;
    }
    getchar(); /* the end of the line */
    float *values = malloc(count * sizeof(float) + 1);
    if (fread(values, sizeof(float), count, stdin) != count) return 2;
    TF_Tensor *input =
        TF_NewTensor(TF_FLOAT, dims, rank, values, count * sizeof(float), release, NULL);
    TF_Output feed = {TF_GraphOperationByName(graph, input_name), 0};
    TF_Output fetch = {TF_GraphOperationByName(graph, output_name), output_index};
    if (!feed.oper || !fetch.oper) {
      fprintf(stderr, "no operation %s or %s\n", input_name, output_name);
      return 2;
    }
    TF_Tensor *output = NULL;
    TF_SessionRun(session, NULL, &feed, &input, 1, &fetch, &output, 1, NULL, 0, NULL, status);
    if (TF_GetCode(status) != TF_OK) {
      char text[600];
      snprintf(text, sizeof text, "%s", TF_Message(status));
      for (char *c = text; *c; c++)
        if (*c == '\n') *c = ' ';
      printf("error %d %s\n", TF_GetCode(status), text);
    } else {
      size_t bytes = TF_TensorByteSize(output);
      printf("ok %zu\n", bytes / sizeof(float));
      fwrite(TF_TensorData(output), 1, bytes, stdout);
      TF_DeleteTensor(output);
    }
    TF_DeleteTensor(input);
  }
  return 0;
}
