import type { FileReference } from '@pairline/protocol';

/** Pixels on the longer side. */
const LONGEST = 320;
const QUALITIES = [0.7, 0.5, 0.3, 0.1];
/** Characters of a thumbnail: several go in one message. */
const MAX_LENGTH = 12_000;
/** What is larger than this is no picture of a camera, and would fill the memory. */
const MAX_BYTES = 64_000_000;

/**
 * How large a picture is, and a small one of it, of its pixels alone: what the camera wrote beside them stays out. Nothing
 * where pictures cannot be drawn, and of what cannot be shown.
 */
export async function previewOf(file: unknown): Promise<Partial<FileReference>> {
  if (typeof createImageBitmap === 'undefined' || typeof OffscreenCanvas === 'undefined') return {};
  if (!(file instanceof Blob) || !file.type.startsWith('image/') || file.size > MAX_BYTES) return {};
  let image: ImageBitmap;
  try {
    image = await createImageBitmap(file);
  } catch {
    // No picture, or none of a kind that this browser knows.
    return {};
  }
  try {
    const { width, height } = image;
    return { width, height, ...(await draw(image)) };
  } finally {
    image.close();
  }
}

async function draw(image: ImageBitmap): Promise<{ thumbnail?: string }> {
  const scale = Math.min(1, LONGEST / Math.max(image.width, image.height));
  const canvas = new OffscreenCanvas(Math.max(1, image.width * scale), Math.max(1, image.height * scale));
  const context = canvas.getContext('2d');
  if (context === null) return {};
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  for (const quality of QUALITIES) {
    // A browser that does not write WebP answers with PNG, which does not get smaller.
    const thumbnail = await asAddress(await canvas.convertToBlob({ type: 'image/webp', quality }));
    if (thumbnail.length <= MAX_LENGTH) return { thumbnail };
  }
  return {};
}

function asAddress(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error!);
    reader.readAsDataURL(blob);
  });
}
