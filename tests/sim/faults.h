/* Memory that runs out (faults.c). */
#ifndef HL_TEST_SIM_FAULTS_H
#define HL_TEST_SIM_FAULTS_H

#include <stddef.h>
#include <stdint.h>

/* From now on this share of the batches finds no memory once. */
void sim_faults(unsigned percent_of_batches, uint64_t seed);
/* For the simulator itself: does not fail. */
void *sim_realloc(void *p, size_t n);

#endif
