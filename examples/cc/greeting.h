#ifndef GREETING_H_
#define GREETING_H_

#ifdef __cplusplus
extern "C" {
#endif

/* Returns a greeting for a name. The caller frees it. */
char *greeting(const char *name);

#ifdef __cplusplus
}
#endif

#endif
