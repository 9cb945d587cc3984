import { crc32, deflateSync } from 'node:zlib';
import QRCode from 'qrcode';

// Level M survives a scratched or reflecting screen; 8 pixels a module scan from an arm's length, and a code needs a
// quiet zone of 4 modules (ISO/IEC 18004).
const LEVEL = { errorCorrectionLevel: 'M' } as const;
const SCALE = 8;
const MARGIN = 4;

const PNG_SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);

/**
 * A QR code as a PNG of one bit a pixel (PNG specification, colour type 0). The library's own has 32 and costs ten times
 * the CPU.
 */
export function qrPng(text: string): Buffer {
  const { size, data } = QRCode.create(text, LEVEL).modules;
  const width = (size + 2 * MARGIN) * SCALE;
  const bytes = width / 8; // a module is 8 pixels, so a row is whole bytes
  const image = Buffer.alloc((bytes + 1) * width, 0xff);
  for (let y = 0; y < width; y++) {
    const row = y * (bytes + 1);
    image[row] = 0; // filter: none
    const line = Math.floor(y / SCALE) - MARGIN;
    if (line < 0 || line >= size) continue;
    for (let x = 0; x < size; x++) if (data[line * size + x]) image[row + 1 + MARGIN + x] = 0;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(width, 4);
  header[8] = 1; // bits a pixel; the rest 0: grey, deflate, no interlace
  return Buffer.concat([
    PNG_SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(image)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

export function qrSvg(text: string): Promise<string> {
  return QRCode.toString(text, { ...LEVEL, margin: MARGIN, type: 'svg' });
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
