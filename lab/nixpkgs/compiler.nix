# A C and C++ compiler that needs nothing outside the store, and makes programs that need
# nothing outside it: GCC, binutils, and a sysroot with the headers and start files of glibc.
{ repackage, runCommand, deb, bash, coreutils, glibc }:

let
  libgcc = repackage {
    pname = "gcc-libraries";
    version = "12";
    debs = [ "libgcc-s1" "libstdc++6" ];
  };

  binutils = repackage {
    pname = "binutils";
    version = "2.40";
    debs = [
      "binutils-x86-64-linux-gnu" "libbinutils" "libctf0" "libctf-nobfd0" "libjansson4"
      "zlib1g" "libzstd1"
    ];
    libraries = [ libgcc ];
    after = ''
      rm -f bin/*gprofng* bin/*gp-* bin/*-gold
      cd bin
      for tool in x86_64-linux-gnu-*; do ln -s $tool ''${tool#x86_64-linux-gnu-}; done
      ln -sf x86_64-linux-gnu-ld.bfd ld
      cd ..
    '';
  };

  # Linker scripts with names only: --sysroot says where.
  sysroot = runCommand "sysroot-2.36"
    {
      packages = map deb [ "libc6-dev" "linux-libc-dev" "libcrypt-dev" ];
      PATH = "${coreutils}/bin:/usr/bin";
    } ''
    for package in $packages; do dpkg-deb -x $package root; done
    libraries=$out/usr/lib/x86_64-linux-gnu
    mkdir -p $libraries $out/lib
    cp -a root/usr/include $out/usr/
    cp -a root/usr/lib/x86_64-linux-gnu/*.o root/usr/lib/x86_64-linux-gnu/*.a $libraries/
    for name in libc libm libdl libpthread libresolv librt libutil; do
      for library in ${glibc}/lib/$name.so.*; do
        ln -sf $library $libraries/
        ln -sf $library $libraries/$name.so
      done
    done
    ln -s ${glibc}/lib/ld-linux-x86-64.so.2 ${glibc}/lib/libmvec.so.1 $libraries/
    rm -f $libraries/libc.so $libraries/libm.so
    echo 'GROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( ld-linux-x86-64.so.2 ) )' > $libraries/libc.so
    echo 'GROUP ( libm.so.6 AS_NEEDED ( libmvec.so.1 ) )' > $libraries/libm.so
    echo 'GROUP ( libm-2.36.a libmvec.a )' > $libraries/libm.a
  '';

  unwrapped = repackage {
    pname = "gcc-unwrapped";
    version = "12.2.0";
    debs = [
      "gcc-12" "cpp-12" "g++-12" "libgcc-12-dev" "libstdc++-12-dev" "libisl23" "libmpc3"
      "libmpfr6" "libgmp10" "zlib1g" "libzstd1" "libgcc-s1" "libstdc++6"
    ];
    libraries = [ libgcc ];
    # Of 300 MB what C and C++ need. GCC looks for its libraries in Debian's folder.
    after = ''
      own=lib/gcc/x86_64-linux-gnu/12
      rm -rf bin/*lto-dump* $own/lto1 $own/plugin libexec
      rm -f $own/lib*san*.a $own/libgomp* lib/libcc1*
      mkdir lib/x86_64-linux-gnu
      for library in lib/*.so*; do ln -s ../''${library##*/} lib/x86_64-linux-gnu/; done
    '';
  };

  # `cc` and its like: the compiler with the arguments that keep it inside the store.
  gcc = runCommand "gcc-wrapper-12.2.0" { } ''
    mkdir -p $out/bin
    wrap() { # NAME PROGRAM
      cat > $out/bin/$1 <<EOF
    #!${bash}/bin/bash
    exec ${unwrapped}/bin/x86_64-linux-gnu-$2-12 --sysroot=${sysroot} -B${binutils}/bin/ \
      -Wl,-dynamic-linker,${glibc}/lib/ld-linux-x86-64.so.2 \
      -Wl,-rpath,${glibc}/lib:${libgcc}/lib "\$@"
    EOF
      chmod +x $out/bin/$1
    }
    wrap gcc gcc
    wrap cc gcc
    wrap g++ g++
    wrap c++ g++
    printf '#!%s\nexec %s -E "$@"\n' ${bash}/bin/bash $out/bin/gcc > $out/bin/cpp
    chmod +x $out/bin/cpp
    ln -s ${unwrapped}/bin/x86_64-linux-gnu-gcov-12 $out/bin/gcov
  '';
in
{
  inherit binutils libgcc sysroot;
  gcc = gcc // {
    pname = "gcc-wrapper";
    version = "12.2.0";
    cc = unwrapped // { lib = libgcc; };
    bintools = binutils;
    inherit sysroot;
    libc = glibc;
    isGNU = true;
    isClang = false;
    targetPrefix = "";
  };
}
