import { plural } from './plural.js';

const many = plural('en');

/** The words of files that are sent and received. They come with the parts of the page that show them. */
export const enFiles = {
  attach: 'Attach files',
  drop: 'Drop files here to send them',
  tray: 'Files to send',
  percent: (share: number) => `${Math.floor(100 * share)} %`,
  progress: (name: string) => `Upload of ${name}`,
  queued: 'Comes next',
  waiting: 'Waits for the connection',
  ready: 'Ready to send',
  takeOut: (name: string) => `Take ${name} out`,
  again: (name: string) => `Try ${name} again`,
  told: {
    ready: (name: string) => `${name} is ready to send`,
    failed: (name: string, why: string) => `${name}: ${why}`,
  },

  picture: (name: string, size: string) => `Show the picture ${name}, ${size}`,
  save: (name: string, size: string) => `Save ${name}, ${size}`,
  show: (name: string) => `Show ${name}`,
  stop: (name: string) => `Stop loading ${name}`,
  loading: (name: string) => `Loading ${name}`,
  download: 'Save',
  showShort: 'Show',
  count: (count: number) => many(count, { one: '1 file', other: `${count} files` }),

  viewer: {
    title: 'Picture',
    next: 'Next picture',
    previous: 'Previous picture',
    place: (number: number, count: number) => `${number} of ${count}`,
    unshown: 'This picture cannot be shown here. Save it to open it elsewhere.',
  },

  problems: {
    file_too_large: 'It is too large.',
    files_full: 'Your account has no room for it. Delete messages with files to make some.',
    storage_full: 'The server has no room left.',
    file_changed: 'The file has changed meanwhile. Choose it again.',
    upload_expired: 'It took too long. Try again.',
    damaged_file: 'The file was changed on its way, or is not whole. It is not shown.',
    not_found: 'This file is not there any more.',
  } as Record<string, string>,
  tooLarge: (largest: string) => `It is too large: a file may have up to ${largest} here.`,
};

export type FileWords = typeof enFiles;
