// What a unified kernel image measures. UAPI group, UKI specification; systemd src/fundamental/uki.h.
#pragma once

#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

/// Authenticode digest ("Windows Authenticode Portable Executable Signature Format" 1.0, "Calculating the PE
/// Image Hash"): the same for a signed and an unsigned file. Streams; one pass for all algorithms asked for.
/// `pe` is decode_pe() of this very `file`. A file whose size is no multiple of 8 is hashed with the zeros that every
/// signer appends before its table (sbsign, osslsigncode); firmware that measures such a file *unsigned* does not
/// append them, so files that boot unsigned are made of a multiple of 8 bytes.
Result<Digests> authenticode_digests(const ByteSource& file, const codec::Pe& pe, std::span<const HashAlg> algs);

/// One line for people who are asked to sign it or let it start: "UKI of kernel 6.12.9, Debian GNU/Linux 13 (trixie),
/// command line \"quiet\"", or "PE, x86-64, 6 sections" for anything without .linux and .cmdline. Texts are the file's
/// own, their control characters replaced. Error (limit): a text section of more than 64 KiB.
Result<std::string> describe_image(const ByteSource& file, const codec::Pe& pe);

/// systemd-stub's version as its .sdmagic section says it: "257.9-1~deb13u1" -> 257.
Result<std::uint32_t> stub_version(const ByteSource& uki, const codec::Pe& pe);

/// Section names in the order in which a stub of that version measures them into PCR 11. Error (unsupported) for a
/// version whose order nobody has checked: guessing would predict a wrong value with a straight face.
Result<std::vector<std::string>> measured_sections(std::uint32_t stub_version);

/// PCR 11 events of a UKI's sections, in order, without phases; `linux` is the first. For each section its name
/// (cause ".cmdline, name"), then its content (cause ".cmdline", text where it is text).
Result<std::vector<ExpectedEvent>> section_events(const ByteSource& uki, const codec::Pe& pe);
/// The events of boot phases: "enter-initrd", "leave-initrd", "sysinit", "ready".
std::vector<ExpectedEvent> phase_events(const std::vector<std::string>& phases);
inline const std::vector<std::string> default_phases = {"enter-initrd", "leave-initrd", "sysinit", "ready"};

/// Values of PCR 11 after each prefix of `phases` on top of the sections: what .pcrsig signs.
Result<std::vector<Baseline::PhaseValue>> phase_values(const std::vector<ExpectedEvent>& sections,
                                                       const std::vector<std::string>& phases);

/// Replays expected events from zero, no optional block taken; each PCR that occurs, plus `also` at its start value.
/// Only banks for which every event has a digest.
PcrValues replay_expected(const std::vector<ExpectedEvent>& events, std::span<const PcrIndex> also);

/// All of PCR 4, 9, 11, 12, 13, 14 that booting this UKI directly (boot option, Secure Boot on) causes, in order.
/// PCR 9 is the initrd as the stub concatenates it, streamed. PCR 12, 13 and 14 get no event.
Result<std::vector<ExpectedEvent>> uki_events(const ByteSource& uki, const std::vector<std::string>& phases);

/// The command line that systemd-stub hands to the kernel for these .cmdline bytes: cut at the first NUL, control
/// characters to spaces, white space trimmed at both ends.
std::string kernel_command_line(Bytes cmdline_section);

}  // namespace ingot::measure
