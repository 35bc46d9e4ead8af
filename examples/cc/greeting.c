#include "greeting.h"

#include <stdlib.h>
#include <string.h>

char *greeting(const char *name) {
  const char *hello = "Hello, ";
  char *text = malloc(strlen(hello) + strlen(name) + 1);
  if (text == NULL) return NULL;
  strcpy(text, hello);
  return strcat(text, name);
}
