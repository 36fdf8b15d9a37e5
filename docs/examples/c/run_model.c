// Runs a model once on zeros, inside half of the memory it would like to have.
//
//   make library
//   flags="-shared-libgcc -Wl,-rpath,out/lib -Wl,--allow-shlib-undefined"
//   cc -I out/include docs/examples/c/run_model.c -L out/lib -lsluice $flags -o run_model
//   ./run_model models/squeezenet.onnx

#include <stdio.h>
#include <stdlib.h>

#include "sluice.h"

// Says what went wrong and ends the program.
static void check(sluice_status status) {
    if (status == SLUICE_OK) return;
    fprintf(stderr, "error %d: %s\n", (int)status, sluice_error_text());
    exit(1);
}

// Zeroed memory for port number `index` of the inputs or outputs.
static sluice_buffer make_buffer(const sluice_plan *plan, size_t index, int is_input) {
    sluice_port port;
    check(is_input ? sluice_plan_input(plan, index, &port)
                   : sluice_plan_output(plan, index, &port));
    sluice_buffer buffer = {calloc(port.byte_count, 1), port.byte_count};
    printf("%s %s: %zu bytes\n", is_input ? "input" : "output", port.name, port.byte_count);
    return buffer;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL.onnx\n", argv[0]);
        return 2;
    }
    const char *options[] = {"device-memory=50%", "threads=2", NULL};
    sluice_model *model;
    sluice_plan *plan;
    sluice_session *session;
    check(sluice_model_open(argv[1], &model));
    check(sluice_plan_open(model, options, &plan));
    check(sluice_session_open(plan, &session));

    size_t input_count = sluice_plan_input_count(plan);
    size_t output_count = sluice_plan_output_count(plan);
    sluice_buffer *inputs = calloc(input_count, sizeof *inputs);
    sluice_buffer *outputs = calloc(output_count, sizeof *outputs);
    for (size_t i = 0; i < input_count; i++) inputs[i] = make_buffer(plan, i, 1);
    for (size_t i = 0; i < output_count; i++) outputs[i] = make_buffer(plan, i, 0);
    check(sluice_session_run(session, inputs, input_count, outputs, output_count, 0));

    sluice_report report;
    check(sluice_session_report(session, &report, sizeof report));
    printf("device peak %lld of %lld bytes\n", (long long)report.measured_device_peak,
           (long long)report.resident_device_bytes);

    for (size_t i = 0; i < input_count; i++) free(inputs[i].data);
    for (size_t i = 0; i < output_count; i++) free(outputs[i].data);
    free(inputs);
    free(outputs);
    sluice_session_free(session);
    sluice_plan_free(plan);
    sluice_model_free(model);
    return 0;
}
