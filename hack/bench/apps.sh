# shellcheck shell=bash
# The apps that a benchmark warms, in images made of this machine's own Java and Python, which are Debian's packages.

apps_install() (
  # shellcheck disable=SC2030 # only here; a cluster needs no compiler of Java
  packages_needed+=(javac:default-jdk-headless)
  packages_install
)

# apps_image java|python: prints the archive of the app, and makes it first where it does not exist yet.
apps_image() {
  local app=$1 cache folder
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-booster
  folder=$cache/$app-app-$("apps_${app}_fingerprint" | sha256sum | cut -c1-16)
  [[ -d $folder ]] || apps_make "$app" "$cache" "$folder"
  printf '%s\n' "$folder/image.tar"
}

apps_make() {
  local app=$1 cache=$2 folder=$3
  mkdir -p "$cache"
  (
    room_for "$cache" 1024 "the image"
    say "making the image of the $app app"
    building=$(mktemp -d "$cache/making-$app.XXXXXX")
    trap 'rm -rf "$building"' EXIT
    trap 'exit 130' INT TERM
    "apps_$app" "$building"
    chmod 755 "$building"
    mv -T "$building" "$folder"
  )
}

apps_java_home() { dirname "$(dirname "$(readlink -f "$(command -v javac)")")"; }

apps_java_fingerprint() {
  javac -version
  cat "$(apps_java_home)/release" "$hack"/jvm-app/src/*.java "$hack/bench/apps.sh" "$hack/image.py"
}

# A JRE without what only compiles. Its archive of classes is valid only with the times that the image gives its files.
apps_java() {
  local folder=$1 home=$1/java files
  mkdir -p "$home" "$folder/app"
  (cd "$(apps_java_home)" && find -L bin/java lib conf -type f ! -name ct.sym ! -name '*.jsa' -exec cp --parents -L -t "$home" {} +)
  find "$home" -exec touch --date=@0 {} +
  "$home/bin/java" -Xshare:dump >/dev/null
  javac -d "$folder/app" "$hack"/jvm-app/src/*.java
  files=$(apps_tree "$home" /java && apps_tree "$folder/app" /app && apps_libraries "$home")
  mapfile -t files <<<"$files"
  "$hack/image.py" localhost/kube-booster/jvm-app:1 "$folder/image.tar" "${files[@]}" \
    --entrypoint "/java/bin/java -Xmx256m -cp /app App" --user 65532:65532 --port 8080 --directory /tmp:1777 >/dev/null
  rm -rf "$home" "$folder/app"
}

apps_python_fingerprint() {
  /usr/bin/python3 --version
  cat "$hack/python-app/app.py" "$hack/bench/apps.sh" "$hack/image.py"
}

apps_python() {
  local folder=$1 library files
  library=$(/usr/bin/python3 -Sc 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  mkdir -p "$folder/library"
  (cd "$library" && find -L . -type f ! -path './test/*' ! -path './config-*' -exec cp --parents -L -t "$folder/library" {} +)
  files=$(
    apps_tree "$folder/library" "$library"
    printf -- '--file=%s=%s\n' /usr/bin/python3 /usr/bin/python3 "$hack/python-app/app.py" /app.py
    apps_libraries "$folder/library"
    apps_libraries /usr/bin/python3
  )
  mapfile -t files <<<"$files"
  "$hack/image.py" localhost/kube-booster/python-app:1 "$folder/image.tar" "${files[@]}" \
    --entrypoint "/usr/bin/python3 -B /app.py" --user 65532:65532 --port 8080 >/dev/null
  rm -rf "$folder/library"
}

# apps_tree FOLDER PLACE: an option of image.py for each file below FOLDER, which is PLACE in the image.
apps_tree() { (cd "$1" && find . -type f -printf "--file=$1/%P=$2/%P\n"); }

# apps_libraries FILE-OR-FOLDER: the same for what the programs in it are linked with, but not for its own files.
apps_libraries() {
  # ldd fails for what is not linked with anything.
  { find -L "$1" -type f \( -name '*.so*' -o -perm -100 \) -exec ldd {} + 2>/dev/null || true; } |
    awk '
      $2 == "=>" && $3 ~ /^\// { print $3 }
      $2 ~ /^\(0x/ && $1 ~ /^\// { print $1 }' |
    sort -u | awk -v own="$1" 'index($1, own) != 1 { printf "--file=%s=%s\n", $1, $1 }'
}
