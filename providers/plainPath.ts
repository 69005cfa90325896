/**
 * Whether a URL's path stays as it is written: a client that takes `..` for the folder above would ask for something else than was judged.
 * Segments of dots alone are refused whatever a client makes of them.
 */
export function isPlainPath(path: string): boolean {
  const dots = path.split("/").some((segment) => /^\.+$/.test(segment));
  return (
    !dots && URL.canParse(path, "https://place.invalid") && new URL(path, "https://place.invalid").pathname === path
  );
}
