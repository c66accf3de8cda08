// Reads the body of a request.

// The longest bodies that are accepted, in bytes: of Dapr's calls as daprd has it, and of calls about leases.
export const MOST = 4 << 20;
export const MOST_OF_LEASES = 8 << 10;

// Stands for a body that is too long.
export const TOO_LONG = Symbol("too long");

// The whole body. A body that is too long is read to its end, because some clients look for the reply only once they
// have sent everything; a body of more than twice the longest is left unread.
export async function read(request, most) {
  if (Number(request.headers.get("content-length")) > 2 * MOST) return TOO_LONG;
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length <= most) chunks.push(chunk);
    if (length > 2 * MOST) return TOO_LONG;
  }
  return length > most ? TOO_LONG : joined(chunks, length);
}

function joined(chunks, length) {
  const whole = new Uint8Array(length);
  let end = 0;
  for (const chunk of chunks) {
    whole.set(chunk, end);
    end += chunk.length;
  }
  return whole;
}
