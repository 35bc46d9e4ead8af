# Builder: Debian packages -> one store path that needs nothing outside the store.
# In: packages (debs), libraries (store paths), loader (path or empty), patchelf,
# after (shell code), out.
set -eu
export PATH=$patchelf/bin:/usr/bin LC_ALL=C

for package in $packages; do dpkg-deb -x "$package" root; done
mkdir -p "$out/lib"

move() { # FROM (below root) TO (below $out)
  [ -d "root/$1" ] || return 0
  mkdir -p "$out/$2"
  cp -a "root/$1/." "$out/$2/"
  rm -rf "root/$1"
}
move usr/lib/x86_64-linux-gnu lib
move lib/x86_64-linux-gnu lib
move usr/lib lib
rm -rf root/lib64 root/usr/lib64
move lib lib
move usr/include include
for folder in usr/bin bin usr/sbin sbin; do move "$folder" bin; done

(cd "$out" && eval "$after")
if [ -d "$out/bin" ]; then rmdir --ignore-fail-on-non-empty "$out/bin"; fi

# Links to Debian's places become links within this path, or go.
find "$out" -type l | while read -r link; do
  target=$(readlink "$link")
  case $target in
    /lib/x86_64-linux-gnu/* | /usr/lib/x86_64-linux-gnu/*)
      if [ -e "$out/lib/${target##*/}" ]; then ln -sfn "$out/lib/${target##*/}" "$link"; else rm "$link"; fi ;;
    /etc/* | /usr/* | /bin/*) rm "$link" ;;
  esac
done

search=$out/lib
for path in $libraries; do search=$search:$path/lib; done

is_elf() { [ "$(head -c 4 "$1" | tail -c 3)" = ELF ]; }
is_linked() { # an executable or a shared object, not an object file
  case $(od -An -tu1 -j16 -N1 "$1" | tr -d ' ') in 2 | 3) return 0 ;; *) return 1 ;; esac
}
find "$out" -type f | while read -r file; do
  is_elf "$file" && is_linked "$file" || continue
  case ${file##*/} in libc.so.6 | ld-linux-x86-64.so.2) continue ;; esac
  chmod u+w "$file"
  if [ -n "$loader" ] && patchelf --print-interpreter "$file" >/dev/null 2>&1; then
    patchelf --set-interpreter "$loader" "$file"
  fi
  if patchelf --print-needed "$file" 2>/dev/null | grep -q .; then
    patchelf --set-rpath "$search" "$file"
  fi
done
chmod -R u+w,go-w "$out"
find "$out" -perm /6000 -exec chmod ug-s {} +
exit 0
