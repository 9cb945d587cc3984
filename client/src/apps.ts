// What apps need and a page that shows messages does not, in one part, which is loaded when it is asked for.
export { AppRows } from './app-rows.js';
export { SignIn } from './sign-in.js';
