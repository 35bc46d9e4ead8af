# Builder of patchelf. In: packages (debs), out.
set -eu
export PATH=/usr/bin
for package in $packages; do dpkg-deb -x "$package" root; done
mkdir -p "$out/bin" "$out/lib"
cp root/usr/bin/patchelf "$out/lib/patchelf.real"
libraries=root/lib/x86_64-linux-gnu
cp "$libraries"/{ld-linux-x86-64.so.2,libc.so.6,libm.so.6,libgcc_s.so.1} "$out/lib/"
cp root/usr/lib/x86_64-linux-gnu/libstdc++.so.6 "$out/lib/"
printf '#!/usr/bin/bash\nexec %s --library-path %s %s "$@"\n' \
  "$out/lib/ld-linux-x86-64.so.2" "$out/lib" "$out/lib/patchelf.real" >"$out/bin/patchelf"
chmod +x "$out/bin/patchelf" "$out/lib/patchelf.real" "$out/lib/ld-linux-x86-64.so.2"
exit 0
