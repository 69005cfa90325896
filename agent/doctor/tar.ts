/** A tar archive in the ustar format (POSIX.1-2001, pax, "ustar Interchange Format"): plain files only, with short ASCII names. */
const BLOCK = 512;
const MAX_NAME_BYTES = 100;

export type TarFile = { readonly name: string; readonly bytes: Uint8Array };

/** `seconds`: when all of it was made, since 1970. Throws on a name that the format's first field cannot hold. */
export function tarOf(files: readonly TarFile[], seconds: number): Uint8Array {
  const parts = files.flatMap(({ name, bytes }) => {
    const rest = (BLOCK - (bytes.length % BLOCK)) % BLOCK;
    return [headerOf(name, bytes.length, seconds), bytes, new Uint8Array(rest)];
  });
  // Two blocks of zeros end it.
  return Buffer.concat([...parts, new Uint8Array(2 * BLOCK)]);
}

function headerOf(name: string, size: number, seconds: number): Uint8Array {
  if (!/^[\x21-\x7e]+$/.test(name) || name.length > MAX_NAME_BYTES) throw new RangeError("not a name for the archive");
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  };
  block.write(name, 0, "latin1");
  octal(0o600, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(seconds, 136, 12);
  // The sum is taken with its own field as spaces.
  block.write(" ".repeat(8), 148, "latin1");
  block.write("0", 156, "latin1");
  block.write("ustar\0", 257, "latin1");
  block.write("00", 263, "latin1");
  block.write("root\0", 265, "latin1");
  block.write("root\0", 297, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
