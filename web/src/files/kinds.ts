const PICTURE = /^image\/(?:avif|bmp|gif|jpeg|png|webp)$/;
/** More would not fit into the memory of a page. */
const MAX_BYTES = 64_000_000;

/** Whether a page can show it as a picture. */
export function isPicture({ type, size }: { type: string; size: number }): boolean {
  return PICTURE.test(type) && size > 0 && size <= MAX_BYTES;
}
