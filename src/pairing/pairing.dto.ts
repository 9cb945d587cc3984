import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsNotEmpty, IsOptional, IsString, MaxLength } from 'class-validator';

export class GenerateQrQuery {
  @ApiProperty({
    required: false,
    enum: ['png', 'svg'],
    description: 'The bare image; its token is in the header Pairing-Token',
  })
  @IsOptional()
  @IsIn(['png', 'svg'])
  format?: 'png' | 'svg';
}

export class WaitPairingDto {
  @ApiProperty({ description: 'The token that generate-qr answered' })
  @IsOptional()
  @IsString()
  @MaxLength(256)
  token?: string;

  @ApiProperty({ required: false, description: 'What to call this browser in the list of devices' })
  @IsOptional()
  @IsString()
  @MaxLength(200)
  deviceName?: string;
}

export class VerifyDto {
  @ApiProperty()
  @IsOptional()
  @IsString()
  @MaxLength(4096)
  sessionToken?: string;
}

export class ClaimDto {
  @ApiProperty({ description: 'What the QR code says; its token is enough' })
  @IsString()
  @MaxLength(4096)
  qrData!: string;

  @ApiProperty({ required: false, description: "The account's keys, sealed for the browser that shows the code" })
  @IsOptional()
  @IsString()
  @IsNotEmpty()
  @MaxLength(65_536)
  keys?: string;
}

class QrDto {
  @ApiProperty({ description: 'What the QR code says: JSON with token, timestamp (ms), expiresIn (ms) and url' })
  qrData!: string;
  @ApiProperty({ description: 'For wait-pairing' }) token!: string;
  @ApiProperty({ description: 'ms' }) expiresIn!: number;
  @ApiProperty({ description: 'The QR code as a PNG data URL' }) qrImage!: string;
}

class PairedDto {
  @ApiProperty({ description: 'A JWT for web:authenticate and as a Bearer token' }) sessionToken!: string;
  @ApiProperty({ description: 'The id of the phone' }) deviceId!: string;
  @ApiProperty({ description: 'The id of this browser among the devices of the account' }) sessionId!: string;
  @ApiProperty() accountId!: string;
  @ApiProperty({ description: 'ms since 1970' }) expiresAt!: number;
  @ApiProperty({ required: false, description: 'What the device that let this browser in sealed for it' })
  keys?: string;
}

class VerifiedDto {
  @ApiProperty({ description: 'The id of the phone' }) deviceId!: string;
  @ApiProperty({ description: 'The id of this browser among the devices of the account' }) sessionId!: string;
  @ApiProperty() accountId!: string;
}

class ClaimedDto {
  @ApiProperty({ description: 'The id of the new browser among the devices of the account' }) sessionId!: string;
}

export class GenerateQrReply {
  @ApiProperty({ enum: [true] }) success!: true;
  @ApiProperty({ type: QrDto }) data!: QrDto;
}

export class WaitPairingReply {
  @ApiProperty({ enum: [true] }) success!: true;
  @ApiProperty({ type: PairedDto }) data!: PairedDto;
}

export class VerifyReply {
  @ApiProperty({ enum: [true] }) success!: true;
  @ApiProperty({ type: VerifiedDto }) data!: VerifiedDto;
}

export class ClaimReply {
  @ApiProperty({ enum: [true] }) success!: true;
  @ApiProperty({ type: ClaimedDto }) data!: ClaimedDto;
}
