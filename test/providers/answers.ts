/** Answers that are none: of HTTP/1.1's many ways to be read as two different things (RFC 9112 section 11), and of plain nonsense. */
const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;
const long = (count: number): string => "a".repeat(count);

export type Bad = {
  readonly name: string;
  readonly bytes: string;
  readonly method?: "HEAD";
  readonly status: "malformed" | "answer-too-long";
};

function malformed(cases: Readonly<Record<string, string>>): Bad[] {
  return Object.entries(cases).map(([name, bytes]) => ({ name, bytes, status: "malformed" }));
}

/** Each is refused by what has come, whether the connection ends or not. `MAX_BYTES` is what a body may have. */
export const MAX_BYTES = 1000;
export const BAD: readonly Bad[] = [
  ...malformed({
    "another protocol": "SSH-2.0-OpenSSH_9.2\r\n",
    "another protocol, without a line's end": "220 mail.example ESMTP",
    "HTTP/2 in the clear": "HTTP/2 200\r\n\r\n",
    "HTTP/1.2": "HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/0.9": "<html>hello</html>",
    "lower case": "http/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "an empty line first": `\r\n${OK}content-length: 0\r\n\r\n`,
    "a status of two digits": "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
    "a status of four digits": "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
    "a status of 099": "HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
    "a status of 600": "HTTP/1.1 600 OK\r\ncontent-length: 0\r\n\r\n",
    "a signed status": "HTTP/1.1 +20 OK\r\ncontent-length: 0\r\n\r\n",
    "two spaces before the status": "HTTP/1.1  200 OK\r\ncontent-length: 0\r\n\r\n",
    "a tab before the status": "HTTP/1.1\t200 OK\r\ncontent-length: 0\r\n\r\n",
    "a zero byte in the reason": "HTTP/1.1 200 O\0K\r\ncontent-length: 0\r\n\r\n",
    "a lone CR in the reason": "HTTP/1.1 200 O\rK\r\ncontent-length: 0\r\n\r\n",
    "lines that end with LF alone": "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "one line that ends with LF alone": `${OK}a: b\ncontent-length: 0\r\n\r\n`,
    "a lone CR in a value": `${OK}a: b\rc: d\r\ncontent-length: 0\r\n\r\n`,
    "a zero byte in a value": `${OK}a: b\0\r\ncontent-length: 0\r\n\r\n`,
    "DEL in a value": `${OK}a: b\x7f\r\ncontent-length: 0\r\n\r\n`,
    "a value that goes on in the next line": `${OK}a: b\r\n c\r\ncontent-length: 0\r\n\r\n`,
    "a first field that begins with a space": `${OK} a: b\r\ncontent-length: 0\r\n\r\n`,
    "a field without a colon": `${OK}content-length 0\r\n\r\n`,
    "a field without a name": `${OK}: b\r\ncontent-length: 0\r\n\r\n`,
    "a space before the colon": `${OK}content-length : 0\r\n\r\n`,
    "a name with a space": `${OK}a b: c\r\ncontent-length: 0\r\n\r\n`,
    "a name with a letter of no ASCII": `${OK}cont\xe4nt: c\r\ncontent-length: 0\r\n\r\n`,
    "a head over 64 KiB in one line": `${OK}a: ${long(70_000)}\r\n\r\n`,
    "a head over 64 KiB in many lines": `${OK}${`a: ${long(90)}\r\n`.repeat(800)}\r\n`,
    "a head that never ends": `${OK}${"a: b\r\n".repeat(12_000)}`,
    "two lengths": `${OK}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`,
    "two lengths in one field": `${OK}content-length: 3, 3\r\n\r\nabc`,
    "a length of hex": `${OK}content-length: 0x3\r\n\r\nabc`,
    "a signed length": `${OK}content-length: +3\r\n\r\nabc`,
    "a negative length": `${OK}content-length: -3\r\n\r\nabc`,
    "an empty length": `${OK}content-length:\r\n\r\n`,
    "a length with a space in it": `${OK}content-length: 1 0\r\n\r\nabc`,
    "a length beyond any number": `${OK}content-length: ${"9".repeat(40)}\r\n\r\nabc`,
    "a length and chunks": `${OK}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    "chunks and a length": `${OK}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    "no length and no chunks": `${OK}content-type: text/plain\r\n\r\nabc`,
    "an error without a length": "HTTP/1.1 500 Oops\r\n\r\n",
    "another coding": `${OK}transfer-encoding: gzip\r\n\r\n`,
    "two codings": `${OK}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    "two codings in two fields": `${OK}transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    "chunked by another name": `${OK}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`,
    "chunked with a vertical tab": `${OK}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
    "chunks of HTTP/1.0": "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a compressed body": `${OK}content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc`,
    "a chunk without a length": `${CHUNKED}\r\nabc\r\n0\r\n\r\n`,
    "a chunk whose length is no number": `${CHUNKED}xyz\r\nabc\r\n0\r\n\r\n`,
    "a chunk of 0x3": `${CHUNKED}0x3\r\nabc\r\n0\r\n\r\n`,
    "a chunk of a negative length": `${CHUNKED}-3\r\nabc\r\n0\r\n\r\n`,
    "a chunk's length behind a space": `${CHUNKED} 3\r\nabc\r\n0\r\n\r\n`,
    "a chunk's length that ends with LF alone": `${CHUNKED}3\nabc\r\n0\r\n\r\n`,
    "a chunk's length beyond any number": `${CHUNKED}fffffffffffffffff\r\nabc\r\n0\r\n\r\n`,
    "a chunk that is longer than it says": `${CHUNKED}3\r\nabcd\r\n0\r\n\r\n`,
    "a chunk that ends with LF alone": `${CHUNKED}3\r\nabc\n0\r\n\r\n`,
    "an endless extension of a chunk": `${CHUNKED}3;${long(400)}\r\nabc\r\n0\r\n\r\n`,
    "a control character in a chunk's extension": `${CHUNKED}3;a\0b\r\nabc\r\n0\r\n\r\n`,
    "a trailer that is no field": `${CHUNKED}3\r\nabc\r\n0\r\nno field\r\n\r\n`,
    "an endless trailer": `${CHUNKED}3\r\nabc\r\n0\r\n${"a: b\r\n".repeat(2000)}\r\n`,
    "a switch of protocols": "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
    "an interim answer that is none": `HTTP/1.1 103 Early Hints\r\nno field\r\n\r\n${OK}content-length: 0\r\n\r\n`,
    "nine interim answers": `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(9)}${OK}content-length: 0\r\n\r\n`,
    "interim answers over 64 KiB": `HTTP/1.1 103 Early Hints\r\na: ${long(50_000)}\r\n\r\nHTTP/1.1 103 E\r\na: ${long(50_000)}\r\n\r\n`,
  }),
  { name: "a longer body by its length", bytes: `${OK}content-length: 1001\r\n\r\n`, status: "answer-too-long" },
  { name: "a longer body by one chunk", bytes: `${CHUNKED}3e9\r\n`, status: "answer-too-long" },
  {
    name: "a longer body by many chunks",
    bytes: `${CHUNKED}${`64\r\n${long(100)}\r\n`.repeat(11)}`,
    status: "answer-too-long",
  },
  {
    name: "two lengths to HEAD",
    bytes: `${OK}content-length: 3\r\ncontent-length: 4\r\n\r\n`,
    method: "HEAD",
    status: "malformed",
  },
];

/** What stands behind an answer that is whole: a second one, or what somebody would have a reader take for one. */
export const BEHIND: Readonly<Record<string, string>> = {
  "a second answer": `${OK}content-length: 3\r\n\r\nabc${OK}content-length: 0\r\n\r\n`,
  "more than its length": `${OK}content-length: 3\r\n\r\nabcd`,
  "more than its chunks": `${CHUNKED}3\r\nabc\r\n0\r\n\r\nd`,
  "a body to 204": "HTTP/1.1 204 No Content\r\n\r\nabc",
  "a body to 304": "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\nabc",
};

/** Answers that end before they are whole. */
export const CUT: Readonly<Record<string, string>> = {
  nothing: "",
  "half a status line": "HTTP/1.1 20",
  "a status line": OK,
  "half a head": `${OK}content-length: 3\r\n`,
  "half a body": `${OK}content-length: 50\r\n\r\nabc`,
  "an interim answer": "HTTP/1.1 103 Early Hints\r\n\r\n",
  "chunks without the last": `${CHUNKED}3\r\nabc\r\n`,
  "half a chunk": `${CHUNKED}5\r\nabc`,
  "half a chunk's length": `${CHUNKED}1`,
  "the last chunk without the trailer's end": `${CHUNKED}3\r\nabc\r\n0\r\n`,
  "half a trailer": `${CHUNKED}3\r\nabc\r\n0\r\na: b\r\n`,
};

export type Good = {
  readonly name: string;
  readonly bytes: string;
  readonly method?: "HEAD";
  readonly status: number;
  readonly body: string;
};
export const GOOD: readonly Good[] = [
  { name: "a length", bytes: `${OK}content-length: 3\r\n\r\nabc`, status: 200, body: "abc" },
  { name: "no body", bytes: `${OK}content-length: 0\r\n\r\n`, status: 200, body: "" },
  {
    name: "the same length twice",
    bytes: `${OK}content-length: 3\r\nContent-Length: 3\r\n\r\nabc`,
    status: 200,
    body: "abc",
  },
  { name: "no reason", bytes: "HTTP/1.1 404\r\nContent-Length:1\r\n\r\nx", status: 404, body: "x" },
  { name: "HTTP/1.0", bytes: "HTTP/1.0 200 OK\r\nContent-Length: \t2 \r\n\r\nhi", status: 200, body: "hi" },
  { name: "chunks", bytes: `${CHUNKED}3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n`, status: 200, body: "abc0123456789" },
  { name: "no chunk but the last", bytes: `${CHUNKED}0\r\n\r\n`, status: 200, body: "" },
  { name: "Chunked", bytes: `${OK}Transfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`, status: 200, body: "x" },
  {
    name: "extensions and a trailer",
    bytes: `${CHUNKED}3;a="b"\r\nabc\r\n0;c\r\nx-t: 1\r\n\r\n`,
    status: 200,
    body: "abc",
  },
  {
    name: "as long as it may be",
    bytes: `${OK}content-length: 1000\r\n\r\n${long(1000)}`,
    status: 200,
    body: long(1000),
  },
  { name: "CR LF in the body", bytes: `${OK}content-length: 8\r\n\r\n\r\n\r\nHTTP`, status: 200, body: "\r\n\r\nHTTP" },
  { name: "CR LF in a chunk", bytes: `${CHUNKED}4\r\n\r\n\r\n\r\n0\r\n\r\n`, status: 200, body: "\r\n\r\n" },
  {
    name: "to HEAD, of another length",
    bytes: `${OK}content-length: 5000\r\n\r\n`,
    method: "HEAD",
    status: 200,
    body: "",
  },
  { name: "204 without a length", bytes: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, body: "" },
  { name: "304 with a length", bytes: "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", status: 304, body: "" },
  { name: "a redirect", bytes: "HTTP/1.1 307 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", status: 307, body: "" },
  {
    name: "behind eight interim answers",
    bytes: `${"HTTP/1.1 100 Continue\r\n\r\n".repeat(8)}${OK}content-length: 1\r\n\r\nx`,
    status: 200,
    body: "x",
  },
  { name: "letters of no ASCII in a value", bytes: `${OK}a: \xe4\r\ncontent-length: 0\r\n\r\n`, status: 200, body: "" },
];
