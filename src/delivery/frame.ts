/**
 * An event made ready once for all who get it: its payload is JSON already, and each kind of transport puts its own text
 * around it, once, when the first connection of that kind needs it.
 */
export class Frame {
  private packet: string | undefined;
  private message: Buffer | undefined;

  constructor(
    private readonly event: string,
    /** The payload. */
    readonly json: string,
    /** Of the acknowledgement that is asked for: a frame with one is for one connection. */
    private readonly id?: number,
  ) {}

  /** Characters, about: what it counts for where frames wait. */
  get length(): number {
    return this.json.length + this.event.length;
  }

  /**
   * A Socket.IO EVENT packet of the default namespace (socket.io-protocol v5: type 2, the id of the acknowledgement, then
   * the JSON array).
   */
  get socketIo(): string {
    return (this.packet ??= `2${this.id ?? ''}["${this.event}",${this.json}]`);
  }

  /** A message of `/ws`, as it goes over the wire. */
  get webSocket(): Buffer {
    const id = this.id === undefined ? '' : `,"id":${this.id}`;
    return (this.message ??= framed(`{"type":"${this.event}","data":${this.json}${id}}`));
  }
}

/** FIN and the opcode of a text, RFC 6455, section 5.2. */
const WHOLE_TEXT = 0x81;

/** A WebSocket frame of a text: what a server sends is not masked. */
export function framed(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const start = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const bytes = Buffer.allocUnsafe(start + length);
  bytes[0] = WHOLE_TEXT;
  bytes[1] = start === 2 ? length : start === 4 ? 126 : 127;
  if (start === 4) bytes.writeUInt16BE(length, 2);
  if (start === 10) bytes.writeBigUInt64BE(BigInt(length), 2);
  bytes.write(text, start);
  return bytes;
}

/** An event with its payload; `id` asks for an acknowledgement. */
export function encode(event: string, payload: unknown, id?: number): Frame {
  return new Frame(event, JSON.stringify(payload), id);
}

/** The same, of a payload that is JSON text. */
export function encodeText(event: string, json: string): Frame {
  return new Frame(event, json);
}
