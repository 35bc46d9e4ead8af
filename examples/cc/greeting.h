#ifndef GREETING_H_
#define GREETING_H_

#ifdef __cplusplus
extern "C" {
#endif

/* What is said to somebody of that name. The caller frees it. */
char *greeting(const char *name);

#ifdef __cplusplus
}
#endif

#endif
