import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;

/** A login: a password hash, an encrypted session and a signed token. */
final class Login {
    private static final SecureRandom RANDOM = new SecureRandom();

    Object of(String name) {
        try {
            byte[] salt = MessageDigest.getInstance("SHA-256").digest(name.getBytes(StandardCharsets.UTF_8));
            PBEKeySpec password = new PBEKeySpec(("secret of " + name).toCharArray(), salt, 300, 256);
            byte[] key = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(password).getEncoded();

            byte[] nonce = new byte[12];
            RANDOM.nextBytes(nonce);
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"), new GCMParameterSpec(128, nonce));
            byte[] session = cipher.doFinal(("{\"user\":\"" + name + "\"," + "\"cart\":[" + "1,".repeat(200) + "2]}").getBytes(StandardCharsets.UTF_8));

            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            Base64.Encoder base64 = Base64.getUrlEncoder().withoutPadding();
            String token = base64.encodeToString(nonce) + "." + base64.encodeToString(session);
            return Map.of("token", token, "signature", HexFormat.of().formatHex(mac.doFinal(token.getBytes(StandardCharsets.US_ASCII))));
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }
}
