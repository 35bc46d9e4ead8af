#include <cstdlib>
#include <iostream>
#include <memory>

#include "greeting.h"

int main() {
  std::unique_ptr<char, decltype(&std::free)> text(greeting("executor"), std::free);
  std::cout << text.get() << " with GCC " << __GNUC__ << std::endl;
}
