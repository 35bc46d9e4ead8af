#include <cstdlib>
#include <memory>
#include <string>

#include "greeting.h"

int main() {
  std::unique_ptr<char, decltype(&std::free)> text(greeting("you"), std::free);
  return std::string(text.get()) == "Hello, you" ? 0 : 1;
}
