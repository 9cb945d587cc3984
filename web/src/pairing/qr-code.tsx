import { create } from 'qrcode/lib/core/qrcode.js';
import { useMemo } from 'react';

const QUIET_ZONE = 4; // Modules of white around the code: ISO/IEC 18004 asks for four.

/** A QR code as one path: dark on white in every theme, because that is what cameras read best. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => draw(text), [text]);
  return (
    <svg className="qr-code" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

function draw(text: string): { size: number; path: string } {
  // On a screen nothing is torn or smudged: little correction, and larger modules for it.
  const { modules } = create(text, { errorCorrectionLevel: 'L' });
  let path = '';
  for (let row = 0; row < modules.size; row++) {
    for (let column = 0; column < modules.size; column++) {
      if (!modules.get(row, column)) continue;
      let end = column;
      while (end < modules.size && modules.get(row, end)) end++;
      path += `M${column + QUIET_ZONE} ${row + QUIET_ZONE}h${end - column}v1h-${end - column}z`;
      column = end;
    }
  }
  return { size: modules.size + 2 * QUIET_ZONE, path };
}
