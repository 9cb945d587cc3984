// Private conversations and groups, in one part, which is loaded when it is asked for, or when there is something to open.
export { startOver } from './founding.js';
export { Rooms } from './rooms.js';
