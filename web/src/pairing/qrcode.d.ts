// The encoder alone; the package's entry brings its renderers along.
declare module 'qrcode/lib/core/qrcode.js' {
  export { create } from 'qrcode';
}
