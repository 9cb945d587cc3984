import { extname } from 'node:path';

/** What comes in MMS, by the end of its name. */
const TYPES: Record<string, string | undefined> = {
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
  gif: 'image/gif',
  webp: 'image/webp',
  mp4: 'video/mp4',
  '3gp': 'video/3gpp',
  amr: 'audio/amr',
  mp3: 'audio/mpeg',
  ogg: 'audio/ogg',
  m4a: 'audio/mp4',
  pdf: 'application/pdf',
  vcf: 'text/x-vcard',
  txt: 'text/plain',
};

/** The type of a file by its name. */
export function typeOf(name: string): string {
  return TYPES[extname(name).slice(1).toLowerCase()] ?? 'application/octet-stream';
}

/** A name for a file that came without one: "image.jpg". */
export function nameFor(type: string): string {
  const [kind] = type.split('/');
  const extension = type === 'text/vcard' ? 'vcf' : Object.keys(TYPES).find((each) => TYPES[each] === type);
  return `${kind === 'application' ? 'file' : kind}${extension === undefined ? '' : `.${extension}`}`;
}
